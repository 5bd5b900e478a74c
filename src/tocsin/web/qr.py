"""What a phone reads with its camera."""


def picture(text: str) -> str:
    """*text* as a QR code: an SVG element, dark on light in any scheme, without styles of its own."""
    import segno  # noqa: PLC0415 - only who is shown one pays for it

    return segno.make(text, error="m").svg_inline(
        scale=4, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True
    )
