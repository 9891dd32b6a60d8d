"""Pixels: the frames of an instance, decoded, encoded, rendered. Pure functions over the bytes of a PS3.10 file.

    frames              bytes -> the frames as they are stored                          PS3.5 A.4
    decode              a frame of any transfer syntax -> its samples                   PS3.5 chapter 8
    transcode           a frame, a whole instance -> another transfer syntax
    received            frames and metadata sent apart -> Pixel Data                    PS3.18 section 10.5.2
    render              a frame -> JPEG, PNG or GIF as a viewer would show it           PS3.18 section 8.3.5
    image_frames        what HealthImaging says of each frame, and serves for it

Below them:

    transfer_syntaxes   what each is called, and what can be done with it
    description         what the dataset says of the pixels; picture_dataset: as much of it as pictures need
    stored_frames       where the frames of a file lie, without the rest of it
    encode              samples -> a frame; instance: a whole file; explicit_vr: the elements beside its pixels
    codestreams         what a compressed frame says of itself
    codecs              imagecodecs; rle: RLE Lossless, which is ours
    rendering           the query parameters of rendered resources
    grayscale, colour   samples -> what a viewer shows; lookup_tables: with the dataset's own tables
    pictures            Pillow; annotation: the lines burnt in

Nothing here does I/O or waits, but much of it computes for milliseconds and more, outside the interpreter's lock: call
it on threads.
"""
