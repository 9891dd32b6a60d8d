"""The attributes that say how the stored pixels, and the stored file, are to be read.

An image set keeps the pixels as they came. An update that changed one of these would make the metadata say something
else than what the bytes are, and the next reader would decode garbage or refuse.

Not here, and so updated like any other: what says how pixels are shown (window, ICC profile, aspect ratio), and the
smallest and largest values and the padding, of which HealthImaging has three at Series level for people to correct.
"""

from __future__ import annotations

from gateway.dicom.dataset import Tag

PIXEL_DESCRIPTION: dict[str, frozenset[Tag]] = {
    "PS3.3 C.12.1 SOP Common Module": frozenset(
        {
            "00080016",  # SOPClassUID: which of all these an object has to have
        }
    ),
    "PS3.3 C.7.6.3 Image Pixel Module": frozenset(
        {
            "00280002",  # SamplesPerPixel
            "00280004",  # PhotometricInterpretation
            "00280006",  # PlanarConfiguration
            "00280010",  # Rows
            "00280011",  # Columns
            "00280100",  # BitsAllocated
            "00280101",  # BitsStored
            "00280102",  # HighBit
            "00280103",  # PixelRepresentation
            "00281101",  # RedPaletteColorLookupTableDescriptor
            "00281102",  # GreenPaletteColorLookupTableDescriptor
            "00281103",  # BluePaletteColorLookupTableDescriptor
            "00281201",  # RedPaletteColorLookupTableData
            "00281202",  # GreenPaletteColorLookupTableData
            "00281203",  # BluePaletteColorLookupTableData
            "00287FE0",  # PixelDataProviderURL
            "7FE00001",  # ExtendedOffsetTable
            "7FE00002",  # ExtendedOffsetTableLengths
        }
    ),
    "PS3.3 C.7.6.6 Multi-frame Module": frozenset(
        {
            "00280008",  # NumberOfFrames
        }
    ),
    "PS3.3 C.7.9 Palette Color Lookup Table Module": frozenset(
        {
            "00281104",  # AlphaPaletteColorLookupTableDescriptor
            "00281204",  # AlphaPaletteColorLookupTableData
            "00281221",  # SegmentedRedPaletteColorLookupTableData
            "00281222",  # SegmentedGreenPaletteColorLookupTableData
            "00281223",  # SegmentedBluePaletteColorLookupTableData
            "00281224",  # SegmentedAlphaPaletteColorLookupTableData
        }
    ),
    # What was lost stays lost: C.7.6.1.1.5 has "01" kept forever once an image has been compressed with loss.
    "PS3.3 C.7.6.1 General Image Module": frozenset(
        {
            "00282110",  # LossyImageCompression
            "00282112",  # LossyImageCompressionRatio
            "00282114",  # LossyImageCompressionMethod
        }
    ),
    # An edit of SOPInstanceUID takes MediaStorageSOPInstanceUID along.
    "PS3.10 Table 7.1-1 File Meta Information": frozenset(
        {
            "00020000",  # FileMetaInformationGroupLength
            "00020001",  # FileMetaInformationVersion
            "00020002",  # MediaStorageSOPClassUID
            "00020003",  # MediaStorageSOPInstanceUID
            "00020010",  # TransferSyntaxUID
        }
    ),
}

PIXEL_DESCRIPTION_TAGS: frozenset[Tag] = frozenset().union(*PIXEL_DESCRIPTION.values())
