//! The envelope of a frame: where its event, channel, data and user id are.
