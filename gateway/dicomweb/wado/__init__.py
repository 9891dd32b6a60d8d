"""Retrieving: PS3.18 section 10.4, and WADO-URI, section 9.

retrieving      studies, series, instances, each in what transfer_syntax says of them
files           ... the files; uri: one, by a query string
metadata        metadata; metadata_json: of pieces that are kept
bulk_data       bulk data; pixel_values: pixel data as such; ranges: some bytes of either
shown_as_is     documents and videos, which need no picture
frames          frames and pixel data; rendered: pictures; instance_pixels: what both are made of
"""
