"""What import jobs read and write.

protocol           Objects: a bucket
folder             ... a folder as a bucket; s3: S3
places             which bucket a URI means
"""
