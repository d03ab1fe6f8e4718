"""Pages: notebooks in a browser, and one offline page of a run."""
