"""What users put in and get out: values to bytes and back, their JSON Schemas, what is personal in them."""
