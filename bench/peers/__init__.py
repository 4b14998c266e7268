"""Other people's software on our bytes. Each module runs in an environment of its own and imports nothing of ours."""
