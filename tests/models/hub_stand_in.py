"""As much of the Hugging Face Hub as an upload of small files needs: it takes them and remembers them."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hub(ThreadingHTTPServer):
    """Listens on a free port of this machine; `refuse` is a status to answer everything with."""

    def __init__(self, refuse: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.refuse = refuse
        self.asked: list[str] = []
        self.repositories: dict[str, bool] = {}
        self.files: dict[str, bytes] = {}
        self.title = ""
        self.commits = 0
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"GET {path}")
        name = "/".join(path.split("/")[3:5])
        if name not in self.server.repositories:
            self._send(404, {"error": "not here"})
        elif path == f"/api/models/{name}":
            self._send(200, {"id": name, "private": self.server.repositories[name]})
        elif path == f"/api/models/{name}/tree/main":
            files = self.server.files.items()
            self._send(200, [_described(file, content) for file, content in files])
        else:
            self._send(404, {"error": "not here"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        self.server.asked.append(f"POST {path}")
        if self.server.refuse is not None:
            self._send(self.server.refuse, {"error": "you may not write here"})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            status = 409 if name in self.server.repositories else 200
            self.server.repositories.setdefault(name, asked.get("visibility") == "private")
            self._send(status, {"url": f"{self.server.address}/{name}"})
        elif path.endswith("/preupload/main"):
            files = [
                {**one, "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]
            ]
            self._send(200, {"files": files})
        elif path.endswith("/commit/main"):
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._send(200, {"warnings": [], "errors": []})

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["key"] == "header":
                self.server.title = line["value"]["summary"]
            elif line["key"] == "file":
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del self.server.files[line["value"]["path"]]
        self.server.commits += 1
        address = (
            f"{self.server.address}/{self.path.split('/')[3]}/{self.path.split('/')[4]}/commit/{'0' * 40}"
        )
        self._send(200, {"success": True, "commitOid": "0" * 40, "commitUrl": address})

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def _described(file: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": file, "size": len(content), "oid": "0" * 40}
