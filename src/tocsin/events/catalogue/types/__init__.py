"""The rows, one file for each category. A number after the hook is the quiet severity; the loud one is the category's."""
