"""Scripts that measure speed and memory; nothing else of scidata imports them."""
