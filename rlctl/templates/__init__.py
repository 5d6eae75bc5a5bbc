"""What `rlctl init` copies: a folder per template; the first line of its config.yaml says what it is for."""
