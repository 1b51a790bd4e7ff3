-- Where an account came from is part of what is held about its user, who may
-- ask for it.
CREATE INDEX imported_users_user_id ON authstack.imported_users (user_id);
