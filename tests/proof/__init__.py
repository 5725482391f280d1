"""The proof that all holds when a command is killed, refused or starved at any point."""
