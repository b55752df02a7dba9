"""CANDLE-UNO: drug response of tumour cells, as cells, drugs, and pairs that name both."""
