"""From what water meters count to flow, rules, confirmed closures and water use: watch.py is the way in."""
