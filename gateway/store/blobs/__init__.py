"""Immutable bytes, seam C: files as they came, and large binary values.

protocol           Blobs, and where a blob lies
folder             ... append-only packs in a folder; shared_pack: the one that small packs join
receiving          a PS3.10 file on its way into a pack
"""
