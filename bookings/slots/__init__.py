"""When somebody can come: pure rules, the calendars they are applied to, the week a customer sees."""
