"""Who may ask. One request, by file: `signed_requests` stands before both faces and asks `sigv4` whether the request is
signed by one of the keys that `keys` has read; where a body is signed in chunks, `chunked_payload` reads it.
"""
