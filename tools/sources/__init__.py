"""What converters read: archives, folders, and the formats in them."""
