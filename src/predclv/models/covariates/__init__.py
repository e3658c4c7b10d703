"""What is known of customers beside their purchases, and models whose customers differ by it."""
