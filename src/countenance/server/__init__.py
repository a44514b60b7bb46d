"""The HTTP server: the API, the pages, and what keeps both within bounds."""
