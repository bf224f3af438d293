"""The networks: observation encoders, the flow policy, the chunk critics."""
