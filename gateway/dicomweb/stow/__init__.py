"""Storing: PS3.18 section 10.5.

storing         POST /studies: PS3.10 parts, each with body and incoming
metadata        ... DICOM JSON or XML with bulk data, or on its way to ../edits/posted
response        the Store Instances Response
"""
