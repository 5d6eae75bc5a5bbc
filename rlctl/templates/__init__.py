"""What `rlctl init` copies: a folder per template; the first comment says what it is for."""
