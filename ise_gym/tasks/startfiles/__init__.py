"""Start files that are more than text: pictures, sound, office documents, PDF, written from data without a library."""
