"""One request to one model: client, limits, retries, cache, prices, prompt templates. Knows nothing of wikis."""
