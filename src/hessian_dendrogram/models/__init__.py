"""What a network is, how it is trained, and where its weights come from."""
