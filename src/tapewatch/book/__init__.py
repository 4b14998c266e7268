"""Order books: paged integer ladders, their synchronisation rules, and what is read off them."""
