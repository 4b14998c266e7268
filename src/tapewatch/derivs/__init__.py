"""What several markets say together: basis, funding, clusters, whales, divergence of flow and price."""
