"""The read service: an ASGI application that answers what Feast answers, from the stores themselves.

`registry` knows which release is live; `rows` reads bytes from PostgreSQL or Redis; `reader` joins the two so that one
answer is of one release; `answers` puts bytes into words; `access` says who may ask what; `app` is HTTP.
"""
