"""Pixels: the frames of an instance, decoded, encoded, rendered. Pure functions over the bytes of a PS3.10 file.

    frames              bytes -> the frames as they are stored                          PS3.5 A.4
    decode              a frame of any transfer syntax -> its samples                   PS3.5 chapter 8
    transcode           a frame, a whole instance -> another transfer syntax
    received            frames and metadata sent apart -> Pixel Data                    PS3.18 section 10.5.2
    render              a frame -> JPEG, PNG or GIF as a viewer would show it           PS3.18 section 8.3.5
    image_frames        what HealthImaging says of each frame, and serves for it

Below them are the tables of transfer syntaxes, the description of the pixels in the dataset, and one file for each
library: imagecodecs in codecs.py, Pillow in pictures.py. Nothing here does I/O or waits, but much of it computes for
milliseconds and more, outside the interpreter's lock: call it on threads.
"""
