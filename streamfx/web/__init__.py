"""Web pages of a live run. aiohttp and OpenCV (the extra ``web``) are used in here only."""
