"""What the page Serve is made of."""
