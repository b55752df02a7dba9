"""What tests of scidata, and of code built on it, share: contracts and strategies."""
