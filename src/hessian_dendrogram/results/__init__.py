"""Results: frozen arrays with their errors, and facts about where they come from; nothing here computes."""
