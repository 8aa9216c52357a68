"""The sources of converters: folders, archives, and the file formats in them."""
