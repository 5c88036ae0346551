"""The rows of bench/run, a module a topic: see bench/context.py for what one is."""
