"""As much of the Hugging Face Hub as small files need: it takes them, remembers them, and gives them away."""

import base64
import json
from hashlib import sha1
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

    def do_HEAD(self) -> None:
        self.server.asked.append(f"HEAD {self.path}")
        self._file(self.path.partition("?")[0], body=False)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if "/resolve/" in path:
            self._file(path)
            return
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

    def _file(self, path: str, *, body: bool = True) -> None:
        """A file of the one commit that there is: `/<owner>/<name>/resolve/<revision>/<file>`."""
        name, _, file = path.strip("/").partition("/resolve/")
        content = self.server.files.get(file.partition("/")[2])
        missing = name not in self.server.repositories or content is None
        content = content or b""
        self.send_response(404 if missing else 200)
        if missing:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("ETag", f'"{sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

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
