//! Every mutation is caught, by a script in which the unchanged operator does well.
