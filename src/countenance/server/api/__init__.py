"""The routes under /v1, a file each for what belongs together; `ROUTES` of each is what docs/routes.md lists."""
