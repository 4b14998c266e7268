"""The only outbound sockets: planned websockets under a watchdog, REST under one weight budget."""
