"""How dates and times read, where Django's own formats for a language are not the business's."""
