"""Still right? The same questions to both models, counted one by one, judged by limits fixed beforehand."""
