"""A page in the browser: `work` measures, `view` packs what is drawn, `page` lays it out, `serving` runs it."""
