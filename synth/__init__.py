"""Sharp pictures in, defocused pictures with exact radius maps out."""
