"""Pages for those who would rather look than read: a dataset, or one clip."""
