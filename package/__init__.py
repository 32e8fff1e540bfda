"""Builds what goes to Lambda and proves it fit: never shipped itself."""
