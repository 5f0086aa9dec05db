"""What spans several ports and knows no store."""
