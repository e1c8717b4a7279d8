"""Trained models for other programs: the REST API, in the dashboard under `/api` and alone by `python -m core serve`.

A request meets these modules in this order:

1. `application` puts the API together: what it answers, under which address, described by OpenAPI.
2. `front` stands before the routes and has `clients` decide who is answered: holders of a key, and before there is one
   programs on this machine only. `keys` makes, lists and revokes keys; only their hashes are kept.
3. `limits` says how much is taken, and `admission` refuses what would be too much at once.
4. `receiving` reads the files out of the request's body, counting while they come.
5. `models` knows which runs are served and keeps their models ready.
6. `workers` are the threads that read images and classify them, several requests' images in one go.
7. `schemas` is what the answers look like; `counters` is what Prometheus is told meanwhile.
8. `mounted` is the API as the dashboard has it, `standing_alone` the server of `python -m core serve`. `snippets`
   shows people how to ask.

No module here imports torch or Streamlit.
"""
