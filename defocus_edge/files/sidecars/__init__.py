"""What lies beside photographs or describes them: when they were taken, tables of boxes, ratings."""
