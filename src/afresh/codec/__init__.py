"""Values to bytes and back: codecs, signatures, compression. Pure but for ``compression``, which keeps contexts by thread."""
