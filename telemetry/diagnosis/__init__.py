"""From what every process saw of its work in a second to the sentence that says what is wrong and why."""
